"""The command `doctor`: checks a machine step by step and prints how to fix what is wrong."""
