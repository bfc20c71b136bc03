# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What synthetic identities need: attributes, generator, recognizers, gallery."""
