# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
#
# The environment of ROS, where its packages or a build from source put it, and of this package.
for setup in /opt/ros/humble/setup.bash /opt/ros/humble/install/setup.bash; do
  if [ -f "$setup" ]; then source "$setup"; fi
done
source /ws/install/setup.bash
exec "$@"
