"""What docker-compose.yml and the Dockerfile say, tried as far as that goes without a container engine."""
