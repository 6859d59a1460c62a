# gsplat_core for the CPU:
#
#   docker build -t gsplat-core .
#   docker run --rm -v "$PWD":/work gsplat-core train photos -o runs/photos --preset fast
#
# The first stage compiles a wheel with the image's Python and PyTorch; the second one has no compiler.
FROM python:3.12-slim-bookworm AS build
RUN apt-get update -q && apt-get install -qy --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY constraints.txt ./
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    "$(grep '^torch==' constraints.txt)" numpy "setuptools>=77" wheel ninja
COPY . .
RUN GSPLAT_CUDA=0 pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.12-slim-bookworm
COPY constraints.txt /tmp/
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    "$(grep '^torch==' /tmp/constraints.txt)" /wheels/*.whl && rm -rf /wheels /tmp/constraints.txt \
    && gsplat-core doctor
# What is mounted there belongs to whoever starts the container: give `--user "$(id -u):$(id -g)"`, too.
ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["gsplat-core"]
CMD ["--help"]
