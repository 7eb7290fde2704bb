"""The command `doctor`: looks at a real machine step by step and says what to do."""
