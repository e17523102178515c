"""Stage 2: fits light heads on cached features; works where no backbone is installed."""
