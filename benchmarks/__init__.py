"""What the project's speed and memory are, each beside a peer measured in the same run.

A module of this package is one benchmark; it has C{measure}, which gives its rows. C{python -m benchmarks}
runs them all, C{python -m benchmarks wire} one of them. How rows are declared and taken is in L{benchmarks.harness},
what they are held against in L{benchmarks.peers}.
"""
