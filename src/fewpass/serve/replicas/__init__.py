"""The server as a deployment of Ray Serve: the same application in several processes."""
