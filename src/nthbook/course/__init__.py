"""The course: slides, handouts and a key, made from the chapters and from nothing else."""
