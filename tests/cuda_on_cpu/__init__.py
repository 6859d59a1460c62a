"""CUDA kernels executed on the CPU: the ``.cu`` files of ``csrc/cuda``, unchanged, in every run of the tests.

- ``translate.py`` turns CUDA's text into C++: launches and shared memory; all else is C++ already.
- ``include/`` stands in for CUDA's headers; ``runtime/`` schedules the threads. Those of a block are fibers
  on one thread of the CPU, left only where they wait for each other, in an order that a seed chooses.
- ``runtime/checker/`` sees all memory accesses of instrumented kernels: races, bounds, memory never written.
- ``runtime/host_calls.cpp`` sees what the host asks of which stream, and what a captured one must not meet.
- ``build.py`` compiles libraries in three flavours, ``library.py`` drives one from Python, and
  ``operators.py`` runs the operators of ``torch.ops.gsplat_core`` on such a library.

What this cannot show: the speed of a GPU, the accuracy of its fast intrinsics, its weak memory model between
blocks (a missing fence), streams that should wait for each other, and what nvcc makes of the code. Not there:
textures, inline PTX, tensor cores, asynchronous copies, clusters, waiting for other blocks, thrust.
"""
