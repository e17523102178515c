"""languagebind."""
