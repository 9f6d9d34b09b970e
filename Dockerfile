# The project with all that it needs, for the CPU or for NVIDIA GPUs:
#   docker build --build-arg DEVICE=cuda --build-arg USER_ID="$(id -u)" -t med_lora .
FROM python:3.11-slim-trixie

# cpu or cuda
ARG DEVICE=cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# git tells a run its commit, wordnet-base gives METEOR its synonyms, and Triton compiles the code that starts kernels.
RUN case "$DEVICE" in \
        cpu) compiler="" ;; \
        cuda) compiler="gcc libc6-dev" ;; \
        *) echo "DEVICE is '$DEVICE'; build with --build-arg DEVICE=cpu or --build-arg DEVICE=cuda." >&2; exit 1 ;; \
    esac \
    && apt-get update \
    && apt-get install --yes --no-install-recommends git wordnet-base $compiler \
    && rm -rf /var/lib/apt/lists/*

# Before the project's files, so that a change of the code leaves these layers as they are. The wheel of PyPI brings
# CUDA with it, and names the exact libraries, which the lock leaves out; the one for the CPU is a tenth of its size.
COPY requirements.lock /tmp/requirements.lock
RUN torch="$(grep '^torch==' /tmp/requirements.lock)" \
    && if [ "$DEVICE" = cuda ]; then \
        pip install --constraint /tmp/requirements.lock "$torch"; \
    else \
        pip install --no-deps --index-url https://download.pytorch.org/whl/cpu "$torch"; \
    fi
RUN pip install --requirement /tmp/requirements.lock

# Who writes into data/ and runs/: give your own number where these are folders of your machine.
ARG USER_ID=1000
RUN case "$USER_ID" in \
        "" | *[!0-9]* | 0) echo "USER_ID is '$USER_ID'; build with the number of a user other than root." >&2; exit 1 ;; \
    esac \
    && useradd --non-unique --uid "$USER_ID" --user-group --create-home med_lora \
    && install --directory --owner med_lora --group med_lora /home/med_lora/project /home/med_lora/project/runs \
        /home/med_lora/.cache /home/med_lora/.cache/huggingface \
    && git config --system --add safe.directory /home/med_lora/project
WORKDIR /home/med_lora/project
COPY --chown=med_lora:med_lora . .
RUN pip install --no-deps --no-build-isolation --editable .

USER med_lora
ENV HF_HOME=/home/med_lora/.cache/huggingface NVIDIA_DRIVER_CAPABILITIES=compute,utility
VOLUME ["/home/med_lora/project/data", "/home/med_lora/project/runs", "/home/med_lora/.cache/huggingface"]
CMD ["kedro", "registry", "list"]
