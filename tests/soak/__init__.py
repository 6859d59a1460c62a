"""Runs that live a hard life: ``make soak SECONDS=1800``.

A run is started, killed, resumed, looked at and exported at random, again and again; whenever it ends, its
scene has to be that of a run which nobody touched, byte for byte.
"""
