# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What all trainings need: data, augmentation, recipes, the training loop."""
