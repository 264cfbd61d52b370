// SPDX-License-Identifier: BSD-3-Clause
#include "unit/fsck/image.h"

#include <algorithm>
#include <cstddef>
#include <sys/stat.h>

namespace daxpin::test {
namespace {

using namespace format;

constexpr std::uint64_t generation = 77;

void set_uuid(std::byte (&uuid)[16], unsigned seed) {
    for (unsigned i = 0; i < 16; ++i)
        uuid[i] = std::byte(seed * 16 + i);
}

template <typename T> void seal_whole(T &object) {
    object.crc = 0;
    object.crc = crc32c(bytes_of(object));
}

} // namespace

Image::Image(unsigned data_devices) {
    for (unsigned i = 0; i < 1 + data_devices; ++i) {
        media_.push_back(SimMedia::create({.size = blocks * block_size}));
        used_.emplace_back(blocks, false);
    }
    plan(1 + data_devices);
    fill();
}

void Image::plan(unsigned device_count) {
    superblock.magic = superblock_magic;
    superblock.format_version = version;
    set_uuid(superblock.volume_uuid, 1);
    superblock.block_bytes = block_size;
    superblock.device_count = static_cast<std::uint16_t>(device_count);
    superblock.ring_start = ring_start;
    superblock.ring_blocks = ring_blocks;
    superblock.tail_cell_a = cell_a;
    superblock.tail_cell_b = cell_b;
    for (unsigned i = 0; i < 16; ++i) {
        superblock.hash_key[i] = hash_key_[i] = std::byte(200 + i);
        epoch_[i] = std::byte(100 + i);
    }
    std::uint64_t next = cell_b + 1;
    for (unsigned i = 0; i < device_count; ++i) {
        auto &entry = superblock.devices[i];
        set_uuid(entry.device_uuid, 2 + i);
        entry.block_count = blocks;
        entry.mapping_unit = block_size;
        entry.role = static_cast<std::uint32_t>(device_count == 1 ? Role::both
                                                : i == 0          ? Role::metadata
                                                                  : Role::data);
        entry.group_count = 1;
        entry.bitmap_start = next++;
        used_[i][0] = used_[i][blocks - 1] = true;
    }
    superblock.root = next++;
    std::fill_n(used_[0].begin(), next, true);
}

Image::ItemKey Image::key(std::uint64_t inode, ItemType type, std::uint64_t offset) {
    return {inode, std::uint64_t{static_cast<std::uint8_t>(type)} << 60 | offset};
}

Image::ItemKey Image::name_key(std::uint64_t inode, ItemType type, std::string_view name) const {
    const std::uint64_t hash = keyed_hash(hash_key_, std::as_bytes(std::span(name))) >> 12;
    return key(inode, type, hash << 8);
}

void Image::put_inode(std::uint64_t number, std::uint32_t mode, std::uint32_t links,
                      std::uint64_t size) {
    InodeItem item{};
    item.generation = generation;
    item.mode = mode;
    item.link_count = links;
    item.size = size;
    if (S_ISDIR(mode))
        item.parent = root_inode;
    items[key(number, ItemType::inode)] = bytes_of(item);
}

void Image::put_entry(std::uint64_t directory, std::string_view name, std::uint64_t target,
                      std::uint32_t mode) {
    DirentItem item{};
    item.inode = target;
    item.generation = generation;
    item.name_length = static_cast<std::uint16_t>(name.size());
    item.type = static_cast<std::uint16_t>(mode >> 12);
    auto value = bytes_of(item);
    const auto text = std::as_bytes(std::span(name));
    value.insert(value.end(), text.begin(), text.end());
    items[name_key(directory, ItemType::dirent, name)] = value;
}

void Image::put_extent(std::uint64_t inode, std::uint64_t first, std::uint64_t media_block,
                       std::uint32_t count, bool unwritten) {
    ExtentItem item{};
    item.media_block = media_block;
    item.block_count = count;
    item.flags = unwritten ? extent_flag_unwritten : 0;
    items[key(inode, ItemType::extent, first)] = bytes_of(item);
    change_inode(inode, [&](InodeItem &owner) { owner.block_count = owner.block_count + count; });
}

void Image::put_blob(const ItemKey &where, std::string_view name, const ImageBytes &content) {
    BlobItem item{};
    item.length = static_cast<std::uint32_t>(content.size());
    item.crc = crc32c(content);
    item.name_length = static_cast<std::uint16_t>(name.size());
    const bool inline_content = content.size() <= blob_inline_max;
    const std::size_t count = (content.size() + block_size - 1) / block_size;
    item.block_count = static_cast<std::uint16_t>(inline_content ? 0 : count);
    auto value = bytes_of(item);
    const auto text = std::as_bytes(std::span(name));
    value.insert(value.end(), text.begin(), text.end());
    if (inline_content) {
        value.insert(value.end(), content.begin(), content.end());
    } else {
        value.resize((value.size() + 7) / 8 * 8);
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint64_t number = allocate(0);
            const std::size_t part =
                std::min<std::size_t>(block_size, content.size() - i * block_size);
            std::copy_n(content.begin() + i * block_size, part, block(number).begin());
            const auto address = bytes_of(le64(number));
            value.insert(value.end(), address.begin(), address.end());
        }
    }
    items[where] = value;
}

std::uint64_t Image::allocate(unsigned device, std::uint64_t count) {
    auto &used = used_[device];
    for (std::uint64_t start = 1; start + count < blocks; ++start) {
        const auto begin = used.begin() + start;
        if (std::find(begin, begin + count, true) != begin + count)
            continue;
        std::fill_n(begin, count, true);
        return start;
    }
    std::abort(); // the tests' content is far smaller than the device
}

void Image::fill() {
    const auto device = static_cast<unsigned>(data_device());
    const auto data = [&](std::uint32_t count) {
        return MediaBlock::at(device, allocate(device, count)).value;
    };
    put_inode(root_inode, S_IFDIR | 0755, 3, 4);
    put_inode(file, S_IFREG | 0644, 2, 5 * block_size);
    put_inode(sub, S_IFDIR | 0755, 3, 3);
    put_inode(link, S_IFLNK | 0777, 1, 6);
    put_inode(pinned, S_IFREG | 0600, 1, 2 * block_size - 100);
    put_inode(removed, S_IFREG | 0600, 0, block_size);
    put_inode(cut, S_IFREG | 0600, 1, 10);
    put_inode(deep, S_IFDIR | 0700, 2, 0);
    change_inode(deep, [](InodeItem &item) { item.parent = sub; });
    put_entry(root_inode, "file", file, S_IFREG);
    put_entry(root_inode, "sub", sub, S_IFDIR);
    put_entry(root_inode, "pinned", pinned, S_IFREG);
    put_entry(root_inode, "cut", cut, S_IFREG);
    put_entry(sub, "other", file, S_IFREG);
    put_entry(sub, "link", link, S_IFLNK);
    put_entry(sub, "deep", deep, S_IFDIR);
    file_blocks = data(2);
    put_extent(file, 0, file_blocks, 2);
    put_extent(file, 4, data(1), 1, true);
    put_extent(pinned, 0, data(1), 1);
    put_extent(pinned, 1, data(1), 1);
    put_extent(removed, 0, data(1), 1);
    put_extent(cut, 0, data(3), 3);
    change_inode(pinned, [](InodeItem &item) { item.flags = inode_flag_pinned_whole; });
    items[key(pinned, ItemType::pin)] = bytes_of(PinItem{.block_count = 2});
    put_blob(key(link, ItemType::symlink), "", {6, std::byte{'t'}});
    put_blob(name_key(file, ItemType::xattr, "user.small"), "user.small", {5, std::byte{'v'}});
    put_blob(name_key(file, ItemType::xattr, "user.big"), "user.big", {5000, std::byte{'V'}});
    UnfinishedItem work{};
    work.generation = generation;
    work.kind = static_cast<std::uint32_t>(UnfinishedKind::remove);
    items[key(unfinished_table, ItemType::unfinished, removed)] = bytes_of(work);
    work.kind = static_cast<std::uint32_t>(UnfinishedKind::truncate);
    work.from_block = 1;
    items[key(unfinished_table, ItemType::unfinished, cut)] = bytes_of(work);
}

std::span<std::byte> Image::block(std::uint64_t number, unsigned device) {
    return media_[device]->bytes().subspan(number * block_size, block_size);
}

fsck::Report Image::check(const fsck::CheckOptions &options) {
    const auto table = open_table(media_);
    return fsck::check(table, options);
}

// ---- writing ----

void Image::write() {
    head = previous_end = 4096 * 3; // the ring has been in use
    write_tree();
    write_bitmaps();
    write_cell(cell_a, 5, head);
    write_cell(cell_b, 5, head);
    write_superblocks();
    write_labels();
}

void Image::write_labels() {
    for (unsigned i = 0; i < media_.size(); ++i) {
        const auto &entry = superblock.devices[i];
        DeviceLabel label{};
        label.magic = label_magic;
        label.format_version = version;
        std::copy_n(superblock.volume_uuid, 16, label.volume_uuid);
        std::copy_n(entry.device_uuid, 16, label.device_uuid);
        label.index = static_cast<std::uint16_t>(i);
        label.device_count = static_cast<std::uint16_t>(media_.size());
        label.role = entry.role;
        label.block_count = entry.block_count;
        label.mapping_unit = entry.mapping_unit;
        seal_whole(label);
        at<DeviceLabel>(0, 0, i) = label;
        at<DeviceLabel>(blocks - 1, 0, i) = label;
    }
}

void Image::write_superblocks() {
    seal_whole(superblock);
    at<Superblock>(0, superblock_offset) = superblock;
    at<Superblock>(blocks - 1, superblock_offset) = superblock;
}

void Image::write_cell(std::uint64_t number, std::uint64_t counter, std::uint64_t tail) {
    TailCell cell{};
    cell.magic = tail_cell_magic;
    cell.counter = counter;
    cell.tail = tail;
    std::copy(epoch_.begin(), epoch_.end(), cell.epoch);
    const auto bytes = bytes_of(cell);
    cell.crc = crc32c(std::span(bytes).first(offsetof(TailCell, crc)));
    at<TailCell>(number) = cell;
}

void Image::seal_unit(std::span<std::byte> unit) {
    const auto crc = bytes_of(le32(crc32c(unit.subspan(4))));
    std::copy(crc.begin(), crc.end(), unit.begin());
}

void Image::write_tree() {
    nodes.clear();
    std::vector<ItemKey> keys;
    write_leaves(keys);
    for (unsigned level = 1; nodes.back().size() > 1; ++level)
        keys = write_level(level, keys);
}

// The last node of the top level is the root: it has the root's block.
void Image::write_leaves(std::vector<ItemKey> &first_keys) {
    nodes.emplace_back();
    const bool only = items.size() <= leaf_items_max;
    for (auto item = items.begin(); item != items.end();) {
        const std::uint64_t number = only ? superblock.root.get() : allocate(0);
        NodeHeader header{};
        header.magic = node_magic;
        header.self = number;
        std::uint16_t heap = block_size;
        first_keys.push_back(first_keys.empty() ? ItemKey{} : item->first);
        for (; item != items.end() && header.count < leaf_items_max; ++item) {
            auto bytes = bytes_of(Key{item->first.first, item->first.second});
            bytes.insert(bytes.end(), item->second.begin(), item->second.end());
            heap = static_cast<std::uint16_t>((heap - bytes.size()) / 8 * 8);
            std::ranges::copy(bytes, block(number).begin() + heap);
            at<LeafSlot>(number, sizeof header + header.count * sizeof(LeafSlot)) = {
                heap, static_cast<std::uint16_t>(bytes.size())};
            header.count = static_cast<std::uint16_t>(header.count + 1);
        }
        header.heap_start = heap;
        at<NodeHeader>(number) = header;
        seal_unit(block(number));
        nodes.back().push_back(number);
    }
}

std::vector<Image::ItemKey> Image::write_level(unsigned level, const std::vector<ItemKey> &keys) {
    const auto below = nodes.back();
    nodes.emplace_back();
    std::vector<ItemKey> first_keys;
    const bool top = below.size() <= children_max;
    for (std::size_t i = 0; i < below.size();) {
        const std::uint64_t number = top ? superblock.root.get() : allocate(0);
        NodeHeader header{};
        header.magic = node_magic;
        header.level = static_cast<std::uint16_t>(level);
        header.self = number;
        first_keys.push_back(keys[i]);
        for (; i < below.size() && header.count < children_max; ++i) {
            at<InnerEntry>(number, sizeof header + header.count * sizeof(InnerEntry)) = {
                {keys[i].first, keys[i].second}, below[i]};
            header.count = static_cast<std::uint16_t>(header.count + 1);
        }
        at<NodeHeader>(number) = header;
        seal_unit(block(number));
        nodes.back().push_back(number);
    }
    return first_keys;
}

void Image::write_bitmaps() {
    for (unsigned device = 0; device < media_.size(); ++device) {
        const auto unit = block(superblock.devices[device].bitmap_start);
        BitmapHeader header{};
        header.magic = bitmap_magic;
        header.device = device;
        std::fill(unit.begin() + bitmap_header_bytes, unit.end(), std::byte{0xff});
        for (std::uint64_t i = 0; i < blocks; ++i) {
            if (used_[device][i])
                continue;
            header.free_count = header.free_count + 1;
            unit[bitmap_header_bytes + i / 8] &= ~(std::byte{1} << (i % 8));
        }
        at<BitmapHeader>(superblock.devices[device].bitmap_start) = header;
        seal_unit(unit);
    }
}

std::pair<std::uint64_t, unsigned> Image::find(const ItemKey &where) {
    for (const std::uint64_t number : nodes[0]) {
        const unsigned count = at<NodeHeader>(number).count;
        for (unsigned i = 0; i < count; ++i) {
            const auto slot = at<LeafSlot>(number, sizeof(NodeHeader) + i * sizeof(LeafSlot));
            const auto &found = at<Key>(number, slot.offset);
            if (found.inode == where.first && found.place == where.second)
                return {number, i};
        }
    }
    std::abort();
}

// ---- the ring ----

std::uint64_t Image::seat(std::uint64_t sequence) const {
    return ring_start * block_size + sequence % ring_bytes;
}

RecordHeader &Image::record(std::uint64_t sequence) {
    return *reinterpret_cast<RecordHeader *>(media().bytes().data() + seat(sequence));
}

std::uint64_t Image::append_record(const std::vector<Entry> &entries,
                                   const RecordHeader &overrides) {
    ImageBytes bytes(sizeof(RecordHeader));
    for (const auto &entry : entries) {
        RecordEntry item{};
        item.block = entry.block;
        item.offset = entry.offset;
        item.length = static_cast<std::uint16_t>(entry.bytes.size());
        const auto head_bytes = bytes_of(item);
        bytes.insert(bytes.end(), head_bytes.begin(), head_bytes.end());
        bytes.insert(bytes.end(), entry.bytes.begin(), entry.bytes.end());
        bytes.resize((bytes.size() + 7) / 8 * 8);
    }
    bytes.resize((bytes.size() + record_align - 1) / record_align * record_align);
    if (head % ring_bytes + bytes.size() > ring_bytes)
        head = (head / ring_bytes + 1) * ring_bytes;
    std::ranges::copy(bytes, media().bytes().begin() + seat(head));
    RecordHeader header = overrides;
    header.magic = record_magic;
    header.length = static_cast<std::uint32_t>(bytes.size());
    header.sequence = head;
    header.type = overrides.type == 0 ? record_outcome : overrides.type.get();
    header.entry_count = static_cast<std::uint32_t>(entries.size());
    header.previous_end = previous_end;
    record(head) = header;
    seal_record(head);
    const std::uint64_t sequence = head;
    head += bytes.size();
    previous_end = head;
    return sequence;
}

void Image::seal_record(std::uint64_t sequence) {
    auto &header = record(sequence);
    const auto payload =
        media().bytes().subspan(seat(sequence) + sizeof header, header.length - sizeof header);
    header.payload_crc = crc32c(payload);
    const auto bytes = bytes_of(header);
    header.checksum = keyed_hash(epoch_, std::span(bytes).first(offsetof(RecordHeader, checksum)));
}

// ---- reports ----

bool has(const fsck::Report &report, fsck::Subject subject, std::string_view part,
         fsck::Severity severity) {
    return std::ranges::any_of(report.findings, [&](const fsck::Finding &finding) {
        return finding.subject == subject && finding.severity == severity &&
               finding.text.find(part) != std::string::npos;
    });
}

std::string text_of(const fsck::Report &report) {
    std::string text;
    for (const auto &finding : report.findings)
        text += std::string(to_string(finding.subject)) + ": " + finding.text + "\n";
    return text;
}

} // namespace daxpin::test
