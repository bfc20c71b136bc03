# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What several rooms use: data, recognition, similarity, processes of the node."""
