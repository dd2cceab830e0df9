"""What several families of layers build on."""
