# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
#
# Jetson Orin, JetPack 6.1 (L4T R36.4): Ubuntu 22.04, Python 3.10, torch, TensorRT 10.3; with ROS 2
# Humble from its own packages. Not built or run on the hardware yet; see docs/jetson.md. On the Orin:
#   docker build -f docker/jetson_orin.Dockerfile -t deid_ros:orin .
FROM dustynv/l4t-pytorch:r36.4.0

# The key must be the one that ROS signs with.
ARG ROS_KEY=C1CF6E31E6BADE8868B172B4F42ED6FBAB17C654
RUN apt-get update && apt-get install -y --no-install-recommends curl git gnupg ca-certificates \
 && curl -fsSL https://raw.githubusercontent.com/ros/rosdistro/master/ros.key -o /tmp/ros.key \
 && gpg --show-keys --with-colons /tmp/ros.key | grep -q "^fpr:*$ROS_KEY:" \
 && gpg --dearmor -o /usr/share/keyrings/ros.gpg /tmp/ros.key \
 && echo "deb [signed-by=/usr/share/keyrings/ros.gpg] http://packages.ros.org/ros2/ubuntu jammy main" \
    > /etc/apt/sources.list.d/ros2.list \
 && apt-get update && apt-get install -y --no-install-recommends \
    ros-humble-ros-base ros-humble-diagnostic-msgs python3-colcon-common-extensions python3-tqdm \
 && rm -rf /var/lib/apt/lists/*

# The newest torch2trt, which knows TensorRT 10; only its Python part.
ARG TORCH2TRT=4e820ae31b4e35d59685935223b05b2e11d47b03
RUN git init -q /tmp/torch2trt && cd /tmp/torch2trt \
 && git fetch -q --depth 1 https://github.com/NVIDIA-AI-IOT/torch2trt "$TORCH2TRT" \
 && git checkout -q FETCH_HEAD \
 && packages="$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')" \
 && rm -rf "$packages"/torch2trt* && cp -r torch2trt "$packages/" && rm -rf /tmp/torch2trt

COPY docker/requirements_jetson_orin.txt /tmp/requirements.txt
RUN python3 -m pip install --no-cache-dir --no-deps --require-hashes -r /tmp/requirements.txt

COPY . /ws/src/deid_ros
WORKDIR /ws
RUN bash -c 'source /opt/ros/humble/setup.bash && colcon build --packages-select deid_ros'

# Engines belong to the device, not to the image: mount a folder of the Orin here.
ENV XDG_CACHE_HOME=/cache
VOLUME /cache
COPY docker/entrypoint.sh /entrypoint.sh
ENTRYPOINT ["/bin/bash", "/entrypoint.sh"]
CMD ["ros2", "launch", "deid_ros", "uav.launch.py"]
