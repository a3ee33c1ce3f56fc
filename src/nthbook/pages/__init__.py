"""What the site writes about itself."""
