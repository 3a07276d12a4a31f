"""What every agent does towards the network: answer over mutual TLS, become ready, drain, end."""
