"""From CUDA's text to C++."""

from __future__ import annotations

from pathlib import Path

import pytest

from cuda_on_cpu.translate import barriers, kernels, translate

HEAD = '#include <cuda_runtime.h>\n#line 1 "a.cu"\n'


@pytest.mark.parametrize(
    ("cuda", "cpp"),
    [
        ("f<<<1, 32>>>(x);", "CUDA_ON_CPU_LAUNCH((f), 1, 32)(x);"),
        (
            "a::f<3, T><<<dim3(1, 2), n, 4 * n, s>>>(x);",
            "CUDA_ON_CPU_LAUNCH((a::f<3, T>), dim3(1, 2), n, 4 * n, s)(x);",
        ),
        ("__shared__ float a[N];", "CUDA_ON_CPU_SHARED(a, float[N]);"),
        ("__shared__ int a, b[2][3];", "CUDA_ON_CPU_SHARED(a, int); CUDA_ON_CPU_SHARED(b, int[2][3]);"),
        ("__shared__ Vec3<float, 4> v;", "CUDA_ON_CPU_SHARED(v, Vec3<float, 4>);"),
        ("__shared__ const float* p;", "CUDA_ON_CPU_SHARED(p, const float*);"),
        (
            "__shared__ __align__(16) char c[8];",
            "CUDA_ON_CPU_SHARED(c, __attribute__((aligned(16))) char[8]);",
        ),
        ("extern __shared__ float4 s[];", "CUDA_ON_CPU_DYNAMIC_SHARED(s, float4);"),
        ("// f<<<1, 2>>>(x); __shared__ int a;", "// f<<<1, 2>>>(x); __shared__ int a;"),
        ('const char* t = "f<<<1, 2>>>(x)";', 'const char* t = "f<<<1, 2>>>(x)";'),
        ("a << b; c >> d; x<y<z>> w;", "a << b; c >> d; x<y<z>> w;"),
    ],
)
def test_translation(cuda: str, cpp: str) -> None:
    assert translate(cuda, Path("a.cu")) == HEAD + cpp


def test_lines_keep_their_numbers() -> None:
    cuda = "f<1>\n    <<<blocks,\n       threads>>>(x);\n__shared__ int a[2]\n  [3];\nlast();\n"
    lines = translate(cuda, Path("a.cu")).removeprefix(HEAD).split("\n")
    assert lines.index("last();") == cuda.split("\n").index("last();")


@pytest.mark.parametrize("cuda", ["\n\n<<<1, 2>>>(x);", "\n\nf<<<1, 2);", "\n\n__shared__ a;"])
def test_what_cannot_be_read_is_named_with_its_line(cuda: str) -> None:
    with pytest.raises(ValueError, match=r"a\.cu:3: cannot read this"):
        translate(cuda, Path("a.cu"))


def test_kernels_and_barriers_are_found() -> None:
    cuda = """
        template <int N> __global__ void __launch_bounds__(128) first(int x) {
          __syncthreads();  // not __syncwarp()
          if (__syncthreads_count(x)) tile.sync();
          __shfl_sync(m, x, 0);
        }
        __global__ void second() { __syncwarp(); }
        template <class R> __global__ void __launch_bounds__(kThreads, blocks(R::kRays)) third(int x) {}
    """
    assert kernels(cuda) == ["first", "second", "third"]
    assert barriers(cuda) == [3, 4, 7]
