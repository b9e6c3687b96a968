"""What Firmhold is measured against."""
