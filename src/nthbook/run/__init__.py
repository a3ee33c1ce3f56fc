"""From a chapter to an executed notebook."""
