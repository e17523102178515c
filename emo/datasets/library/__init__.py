"""One file a data set; the file's name is the data set's name."""
