# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recordings for the tests, written by rosbags and mcap alone, not by the code under test."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import lz4.frame
import mcap.writer
import numpy as np
import rosbags.rosbag1
import rosbags.rosbag2
import yaml
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from deid_ros.core.faces import Box, region_of

CUSTOM_TYPE = 'acme_msgs/msg/Tick'
CUSTOM_DEFINITION = 'std_msgs/Header header\nuint64 count\nfloat32[3] levels\nstring[] notes\n'
START = 1_700_000_000_123_456_789
PERIOD = 40_000_000
SIZE = 96, 64
#: Where the detector of the tests sees a face in every frame.
FACE = Box(20, 12, 24, 30)

QOS = Qos(QosHistory.KEEP_LAST, 7, QosReliability.BEST_EFFORT, QosDurability.VOLATILE,
          QosTime(1, 5), QosTime(2, 0), QosLiveliness.AUTOMATIC, QosTime(3, 0), False)
# Not as rosbags would write it.
QOS_TEXT = ('''- {history: 1, depth: 7, reliability: 2, durability: 2,
   deadline: {sec: 1, nsec: 5}, lifespan: {sec: 2, nsec: 0}, liveliness: 1,
   liveliness_lease_duration: {sec: 3, nsec: 0}, avoid_ros_namespace_conventions: false}
''')


def types(is_ros1: bool = False) -> Any:
    store = get_typestore(Stores.ROS1_NOETIC if is_ros1 else Stores.ROS2_JAZZY)
    store.register(get_types_from_msg(CUSTOM_DEFINITION, CUSTOM_TYPE))
    store.register(get_types_from_msg('geometry_msgs/TransformStamped[] transforms',
                                      'tf2_msgs/msg/TFMessage'))
    return store


class Entry(NamedTuple):
    """A message to record."""

    topic: str
    type: str
    time: int
    message: Any


def picture(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A smooth picture with stripes where the face is, (H, W, 3) uint8."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    bgr = np.dstack([x * 255 // width, y * 255 // height, (x + y + 3 * number) % 256])
    region = region_of(FACE, width, height)
    bgr[region.slices] = (x[region.slices] + number)[..., None] // 4 % 2 * 255
    return bgr.astype(np.uint8)


class Maker:
    """Makes messages of ROS 2 or ROS 1."""

    def __init__(self, is_ros1: bool = False) -> None:
        self.is_ros1 = is_ros1
        self.store = types(is_ros1)

    def make(self, name: str, /, **fields: Any) -> Any:
        return self.store.types[name](**fields)

    def header(self, time: int, frame_id: str = 'camera') -> Any:
        stamp = self.make('builtin_interfaces/msg/Time', sec=time // 10**9, nanosec=time % 10**9)
        fields = {'seq': 7} if self.is_ros1 else {}
        return self.make('std_msgs/msg/Header', stamp=stamp, frame_id=frame_id, **fields)

    def image(self, time: int, bgr: np.ndarray, encoding: str = 'bgr8', data: Any = None) -> Any:
        height, width = bgr.shape[:2]
        return self.make('sensor_msgs/msg/Image', header=self.header(time), height=height,
                         width=width, encoding=encoding, is_bigendian=0, step=3 * width,
                         data=bgr.reshape(-1) if data is None else data)

    def compressed(self, time: int, bgr: np.ndarray, image_format: str = 'jpeg') -> Any:
        data = cv2.imencode('.png' if 'png' in image_format else '.jpg', bgr)[1].reshape(-1)
        return self.make('sensor_msgs/msg/CompressedImage', header=self.header(time),
                         format=image_format, data=data)

    def imu(self, time: int, number: int) -> Any:
        def vector() -> Any:
            return self.make('geometry_msgs/msg/Vector3', x=number * 0.1, y=-1.0, z=9.81)
        turn = self.make('geometry_msgs/msg/Quaternion', x=0.0, y=0.0, z=0.0, w=1.0)
        nine = np.arange(9, dtype=np.float64)
        return self.make('sensor_msgs/msg/Imu', header=self.header(time, 'imu'), orientation=turn,
                         orientation_covariance=nine, angular_velocity=vector(),
                         angular_velocity_covariance=nine, linear_acceleration=vector(),
                         linear_acceleration_covariance=nine)

    def tf(self, time: int) -> Any:
        turn = self.make('geometry_msgs/msg/Quaternion', x=0.0, y=0.0, z=0.0, w=1.0)
        way = self.make('geometry_msgs/msg/Vector3', x=1.0, y=2.0, z=3.0)
        transform = self.make('geometry_msgs/msg/Transform', translation=way, rotation=turn)
        return self.make('tf2_msgs/msg/TFMessage', transforms=[self.make(
            'geometry_msgs/msg/TransformStamped', header=self.header(time, 'map'),
            child_frame_id='base', transform=transform)])

    def points(self, time: int, number: int) -> Any:
        field = self.make('sensor_msgs/msg/PointField', name='x', offset=0, datatype=7, count=1)
        data = np.arange(number, number + 5, dtype=np.float32).view(np.uint8)
        return self.make('sensor_msgs/msg/PointCloud2', header=self.header(time, 'lidar'),
                         height=1, width=5, fields=[field], is_bigendian=False, point_step=4,
                         row_step=20, data=data, is_dense=True)

    def camera_info(self, time: int) -> Any:
        matrices = {'d': np.zeros(5), 'k': np.eye(3).reshape(-1), 'r': np.eye(3).reshape(-1),
                    'p': np.eye(3, 4).reshape(-1)}
        if self.is_ros1:
            matrices = {key.upper(): value for key, value in matrices.items()}
        roi = self.make('sensor_msgs/msg/RegionOfInterest', x_offset=0, y_offset=0, height=0,
                        width=0, do_rectify=False)
        return self.make('sensor_msgs/msg/CameraInfo', header=self.header(time), height=SIZE[1],
                         width=SIZE[0], distortion_model='plumb_bob', binning_x=0, binning_y=0,
                         roi=roi, **matrices)

    def tick(self, time: int, number: int) -> Any:
        return self.make(CUSTOM_TYPE, header=self.header(time, ''), count=number,
                         levels=np.array([1, 2, number], np.float32), notes=['a', 'bc' * number])

    def serialize(self, entry: Entry) -> bytes:
        serialize = self.store.serialize_ros1 if self.is_ros1 else self.store.serialize_cdr
        return bytes(serialize(entry.message, entry.type))


def drive(maker: Maker, frames: int = 6) -> Iterator[Entry]:
    """A short drive with two cameras and other sensors; some messages have the same time."""
    for number in range(frames):
        time = START + number * PERIOD
        bgr = picture(number)
        yield Entry('/imu', 'sensor_msgs/msg/Imu', time, maker.imu(time - 5, number))
        yield Entry('/tf', 'tf2_msgs/msg/TFMessage', time, maker.tf(time - 1))
        yield Entry('/camera/image_raw', 'sensor_msgs/msg/Image', time + 1000,
                    maker.image(time - 3_000_000, bgr))
        yield Entry('/camera/camera_info', 'sensor_msgs/msg/CameraInfo', time + 1000,
                    maker.camera_info(time - 3_000_000))
        yield Entry('/rear/image_raw/compressed', 'sensor_msgs/msg/CompressedImage', time + 2000,
                    maker.compressed(time - 2_000_000, bgr[..., ::-1].copy()))
        yield Entry('/lidar', 'sensor_msgs/msg/PointCloud2', time + 3000,
                    maker.points(time, number))
        yield Entry('/tick', CUSTOM_TYPE, time + 3000, maker.tick(time, number))


IMAGE_TOPICS = {'/camera/image_raw', '/rear/image_raw/compressed'}


def write_rosbag2(path: Path, entries: Sequence[Entry], storage: str = 'mcap',
                  mode: CompressionMode = CompressionMode.NONE, version: Any = 9) -> Path:
    """Write a recording by rosbags."""
    maker = Maker()
    plugin = StoragePlugin.MCAP if storage == 'mcap' else StoragePlugin.SQLITE3
    writer = rosbags.rosbag2.Writer(path, version=version, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for entry in entries:
            if entry.topic not in connections:
                connections[entry.topic] = writer.add_connection(
                    entry.topic, entry.type, typestore=maker.store, offered_qos_profiles=[QOS])
            writer.write(connections[entry.topic], entry.time, maker.serialize(entry))
    return path


def write_lz4(path: Path, entries: Sequence[Entry], mode: str) -> Path:
    """Write a sqlite3 recording whose file or messages are compressed by lz4; rosbags cannot."""
    file = next(write_rosbag2(path, entries, 'sqlite3').glob('*.db3'))
    if mode == 'file':
        file.with_name(file.name + '.lz4').write_bytes(lz4.frame.compress(file.read_bytes()))
        file.unlink()
    else:
        with closing(sqlite3.connect(file)) as database, database:
            database.create_function('packed', 1, lz4.frame.compress)
            database.execute('UPDATE messages SET data = packed(data)')
    content = yaml.safe_load((path / 'metadata.yaml').read_text())
    information = content['rosbag2_bagfile_information']
    information.update(compression_format='lz4', compression_mode=mode.upper())
    if mode == 'file':
        information['relative_file_paths'] = [file.name + '.lz4']
    (path / 'metadata.yaml').write_text(yaml.safe_dump(content))
    return path


def write_split(path: Path, entries: Sequence[Entry], storage: str) -> Path:
    """Write a recording of two files, as rosbag2 splits them."""
    halves = [entries[:len(entries) // 2], entries[len(entries) // 2:]]
    path.mkdir()
    metadata: dict[str, Any] = {}
    for number, half in enumerate(halves):
        part = write_rosbag2(path.with_name(f'part{number}'), half, storage)
        content = yaml.safe_load((part / 'metadata.yaml').read_text())
        information = content['rosbag2_bagfile_information']
        file = part / information['relative_file_paths'][0]
        file.rename(path / f'{path.name}_{number}{file.suffix}')
        if not metadata:
            metadata = content
            metadata['rosbag2_bagfile_information']['relative_file_paths'] = []
        names = metadata['rosbag2_bagfile_information']['relative_file_paths']
        names.append(f'{path.name}_{number}{file.suffix}')
    (path / 'metadata.yaml').write_text(yaml.safe_dump(metadata))
    return path


def write_mcap(path: Path, entries: Sequence[Entry], compression: str = 'ZSTD',
               chunk_size: int = 20_000, picture_attachment: bool = False, **options: Any) -> Path:
    """Write one mcap file by mcap, with all that such a file can hold."""
    maker = Maker()
    with path.open('wb') as file:
        writer = mcap.writer.Writer(
            file, chunk_size=chunk_size,
            compression=mcap.writer.CompressionType[compression], **options)
        writer.start('ros2', 'test')
        writer.add_attachment(5, 6, 'notes.txt', 'text/plain', b'all quiet')
        if picture_attachment:
            writer.add_attachment(5, 6, 'crew.bin', 'application/octet-stream',
                                  b'\xff\xd8\xff\xe0' + bytes(20))
        channels: dict[str, int] = {}
        for number, entry in enumerate(entries):
            if entry.topic not in channels:
                definition, _ = maker.store.generate_msgdef(entry.type, ros_version=2)
                schema = writer.register_schema(entry.type, 'ros2msg', definition.encode())
                channels[entry.topic] = writer.register_channel(
                    entry.topic, 'cdr', schema,
                    {'offered_qos_profiles': QOS_TEXT,
                     'topic_type_hash': maker.store.hash_rihs01(entry.type), 'mission': 'seven'})
            # Attachments and metadata lie between messages.
            if number == len(entries) // 2:
                writer.add_metadata('mission', {'name': 'seven', 'place': 'Ørsted'})
            writer.add_message(channels[entry.topic], entry.time, maker.serialize(entry),
                               entry.time - 77, number)
        writer.finish()
    return path


def write_ros1(path: Path, entries: Sequence[Entry], compression: str = '') -> Path:
    """Write a ROS 1 bag by rosbags."""
    maker = Maker(is_ros1=True)
    writer = rosbags.rosbag1.Writer(path)
    writer.chunk_threshold = 20_000
    if compression:
        writer.set_compression(writer.CompressionFormat[compression.upper()])
    with writer:
        connections: dict[str, Any] = {}
        for entry in entries:
            if entry.topic not in connections:
                connections[entry.topic] = writer.add_connection(
                    entry.topic, entry.type, typestore=maker.store, callerid='/driver',
                    latching=int(entry.topic == '/tf'))
            writer.write(connections[entry.topic], entry.time, maker.serialize(entry))
    return path
