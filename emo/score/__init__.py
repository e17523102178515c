"""Official scores of anybody's predictions; numpy alone, so that it starts at once."""
