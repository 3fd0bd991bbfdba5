"""What a plug-in is: base classes, how plug-ins are found, and the grammar of their names."""
