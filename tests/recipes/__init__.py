"""The examples of CONTRIBUTING.md in C++, a part of each kind, and the build that has them besides ours."""
