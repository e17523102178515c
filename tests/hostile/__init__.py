"""What a stranger hands over: files built here by their own code, and what they must give."""
