"""What drawing costs on this machine, with this model: `fewpass bench`."""
