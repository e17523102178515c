"""What a stranger hands over may not run, destroy, flood or lie."""
