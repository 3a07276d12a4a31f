"""What happens to a node's numbers between the local step and the network; knows schemas and words, no statistics."""
