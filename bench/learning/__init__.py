"""For plug-ins that train networks: the training loop, devices, precision, weights files, pre-training."""
