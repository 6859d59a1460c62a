"""Coverage-guided fuzzing of every reader: ``make fuzz SECONDS=3600``.

libFuzzer changes files so that they reach new code; a target (`targets`) reads them. What it may do is load
or raise an error of `gsplat_core.errors`, in bounded memory and time. Readers in Python run under Atheris,
which brings libFuzzer along; the decoder in C++ (`context_coder.cpp`) under Clang's, with its sanitizers.

What is found ends up in ``build/fuzz/findings``, and belongs into a test of the reader; what was learned, in
``build/fuzz/corpus``, from where the next run goes on.
"""
