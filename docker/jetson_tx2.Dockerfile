# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
#
# Jetson TX2, JetPack 4.6 (L4T R32.7): Ubuntu 18.04, Python 3.6, ROS 2 Humble, torch 1.10,
# TensorRT 8.2.1. Not built or run on the hardware yet; see docs/jetson.md. On the TX2:
#   docker build -f docker/jetson_tx2.Dockerfile -t deid_ros:tx2 .
FROM dustynv/ros:humble-pytorch-l4t-r32.7.1

# torch2trt v0.5.0. Only its Python part is used, which is copied rather than installed: its setup
# imports TensorRT, which Docker shows to running containers and not to builds.
ARG TORCH2TRT=19a317659e15d1307009803e7a15f264672df19d
RUN git init -q /tmp/torch2trt && cd /tmp/torch2trt \
 && git fetch -q --depth 1 https://github.com/NVIDIA-AI-IOT/torch2trt "$TORCH2TRT" \
 && git checkout -q FETCH_HEAD \
 && packages="$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')" \
 && rm -rf "$packages"/torch2trt* && cp -r torch2trt "$packages/" && rm -rf /tmp/torch2trt

COPY docker/requirements_jetson_tx2.txt /tmp/requirements.txt
RUN python3 -m pip install --no-cache-dir --no-deps --require-hashes -r /tmp/requirements.txt

COPY . /ws/src/deid_ros
WORKDIR /ws
RUN bash -c 'source /opt/ros/humble/install/setup.bash && colcon build --packages-select deid_ros'

# Engines belong to the device, not to the image: mount a folder of the TX2 here.
ENV XDG_CACHE_HOME=/cache
VOLUME /cache
COPY docker/entrypoint.sh /entrypoint.sh
ENTRYPOINT ["/bin/bash", "/entrypoint.sh"]
CMD ["ros2", "launch", "deid_ros", "uav.launch.py"]
