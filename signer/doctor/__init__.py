"""The command `doctor`: checks a machine step by step and says how to fix what is wrong."""
