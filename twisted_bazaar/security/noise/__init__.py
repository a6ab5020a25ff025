"""Noise IK for datagrams (The Noise Protocol Framework, revision 34): who is asked is known by its key beforehand."""
