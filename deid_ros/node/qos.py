# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which quality of service to ask for, so that "no image" never is the answer."""

from typing import Any, Sequence

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

# One frame waits at most: what matters is the newest.
_DEPTH = 1


def subscription_qos(publishers: Sequence[Any], reliability: str) -> QoSProfile:
    """Return the profile with which all `publishers` of a topic are heard.

    :param publishers: `TopicEndpointInfo` of each publisher.
    :param reliability: `auto` for the strongest that every publisher offers, else what to ask for.
    """
    offered = [publisher.qos_profile for publisher in publishers]
    if reliability == 'auto':
        all_reliable = offered and all(
            profile.reliability == ReliabilityPolicy.RELIABLE for profile in offered)
        reliability = 'reliable' if all_reliable else 'best_effort'
    all_kept = offered and all(
        profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for profile in offered)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=_DEPTH,
        reliability=(ReliabilityPolicy.RELIABLE if reliability == 'reliable'
                     else ReliabilityPolicy.BEST_EFFORT),
        durability=(DurabilityPolicy.TRANSIENT_LOCAL if all_kept else DurabilityPolicy.VOLATILE))


def publisher_qos(durability: DurabilityPolicy) -> QoSProfile:
    """Return the profile of the outputs: reliable, which every subscriber can hear."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=_DEPTH,
                      reliability=ReliabilityPolicy.RELIABLE, durability=durability)


def incompatible(publishers: Sequence[Any], wanted: QoSProfile) -> Sequence[str]:
    """Return the node names of the publishers that a subscription as `wanted` would not hear."""
    return sorted({
        node_name(publisher) for publisher in publishers
        if wanted.reliability == ReliabilityPolicy.RELIABLE
        and publisher.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT})


def same_qos(one: QoSProfile, other: QoSProfile) -> bool:
    """Tell whether two profiles ask for the same reliability and durability."""
    return one.reliability == other.reliability and one.durability == other.durability


def node_name(endpoint: Any) -> str:
    """Return the full name of the node that a `TopicEndpointInfo` belongs to."""
    return endpoint.node_namespace.rstrip('/') + '/' + endpoint.node_name
