// SPDX-License-Identifier: BSD-3-Clause
#include "fuzz/images.h"

#include "base/checksum.h"
#include "fuzz/input.h"
#include "support/volume_fixture.h"
#include "tools/reader/tree_walk.h"

#include <map>

namespace daxpin::fuzz {

namespace {

constexpr std::uint64_t device_bytes = std::uint64_t{1} << 20;
constexpr std::uint64_t bitmap_bytes_used = device_bytes / block_size / 8;

enum class Kind { clean, dirty, wrapped, unfinished, two_devices };

// ---- making -------------------------------------------------------------------------------------

const volume::Caller &superuser() {
    static const volume::Caller caller{
        .uid = 0, .gid = 0, .umask = 0, .has_capability = [](int) { return true; }};
    return caller;
}

template <typename T> T must(Result<T> result) {
    if (!result)
        fail("making an image: " + describe(result.error()));
    return *std::move(result);
}
void must(Result<void> result) {
    if (!result)
        fail("making an image: " + describe(result.error()));
}

// One of each thing there is to damage.
class Filling {
  public:
    explicit Filling(volume::Volume &volume) : volume_(volume) {}

    void fill() {
        const auto file = make(root_, "file", 0100644);
        make(root_, "link", 0120777, "file");
        make(root_, "long", 0120777, std::string(2000, 'x'));
        make(root_, "pipe", 0010644);
        const auto folder = make(root_, "folder", 0040755);
        write(file, 4096 * 3, 20'000);
        const std::vector<std::byte> value(20'000, std::byte{0x55});
        set(file, "user.large", value);
        set(file, "user.small", std::span(value).first(20));
        must(volume_.link(superuser(), file, folder, "again"));
        const auto sparse = make(root_, "sparse", 0100600);
        write(sparse, 0, 100);
        write(sparse, std::uint64_t{1} << 30, 100);
        must(volume_.fallocate(sparse, 0, volume::FallocateMode::allocate_keep_size, 1 << 20,
                               8 * block_size));
        const auto pinned = make(root_, "pinned", 0100600);
        write(pinned, 0, 10'000);
        must(volume_.pin(superuser(), pinned, {.range = {}, .prepare = true}));
        for (int i = 0; i < 60; ++i) // two levels of nodes
            make(folder, "n" + std::to_string(i), 0100600);
    }

    // What stays to be done after a crash: a file without a name, extents behind an end of file.
    void leave_unfinished() {
        const auto orphan = make(root_, "orphan", 0100600);
        write(orphan, 0, 30'000);
        must(volume_.open_file(superuser(), orphan, {.write = true}));
        must(volume_.unlink(superuser(), root_, "orphan"));
        const auto cut = make(root_, "cut", 0100600);
        for (std::uint64_t i = 0; i < 40; ++i)
            write(cut, 2 * i * block_size, 10);
        volume::AttributeChange change;
        change.size = 10;
        must(volume_.set_attributes(superuser(), cut, change));
    }

  private:
    InodeNumber make(InodeNumber parent, const std::string &name, std::uint32_t mode,
                     const std::string &target = {}) {
        return must(volume_.make_node(superuser(), parent, name, {mode, 0, target})).number;
    }
    void write(InodeNumber number, std::uint64_t offset, std::uint64_t length) {
        must(volume_.write(number, 0, offset, std::vector<std::byte>(length, std::byte{0x33})));
    }
    void set(InodeNumber number, const char *name, std::span<const std::byte> value) {
        must(volume_.set_xattr(superuser(), number, name, value, inode::XattrMode::any));
    }

    volume::Volume &volume_;
    const InodeNumber root_{format::root_inode};
};

MediaList copy_of(const MediaList &media) {
    MediaList copies;
    for (const auto &one : media)
        copies.push_back(one->clone());
    return copies;
}

MediaList make_media_of(Kind kind) {
    test::VolumeShape shape{.device_bytes = device_bytes};
    shape.data_devices = kind == Kind::two_devices ? 1 : 0;
    shape.data_bytes = device_bytes;
    shape.bytes_before_wrap = kind == Kind::wrapped ? 4096 : 0;
    test::VolumeFixture fixture(shape);
    Filling filling(fixture.volume());
    if (kind == Kind::wrapped) { // 60 names: a few thousand bytes of records
        must(fixture->checkpoint());
        filling.fill();
        return copy_of(fixture.all_media());
    }
    filling.fill();
    if (kind == Kind::unfinished)
        filling.leave_unfinished();
    if (kind != Kind::clean)
        return copy_of(fixture.all_media());
    fixture.unmount();
    return copy_of(fixture.all_media());
}

// ---- where everything is ------------------------------------------------------------------------

class Survey : public reader::TreeVisitor {
  public:
    explicit Survey(Image &image) : image_(image) {}

    bool enter(const reader::NodePlace &, double) override { return true; }
    void node(MediaBlock block, const reader::Node &node) override {
        const auto header = node.header();
        const std::uint64_t at = block.block() * block_size;
        const std::uint64_t entry =
            node.level() == 0 ? sizeof(format::LeafSlot) : sizeof(format::InnerEntry);
        add(at, sizeof header + entry * node.count());
        if (node.level() == 0)
            add(at + header.heap_start, block_size - header.heap_start);
        image_.units.push_back(block.block());
    }
    void item(const reader::Item &item, MediaBlock) override {
        if (item.key.type() != 3 && item.key.type() != 4)
            return;
        format::BlobItem blob;
        std::memcpy(&blob, item.value.data(), sizeof blob);
        const std::size_t addresses = sizeof blob + (blob.name_length + 7) / 8 * 8;
        for (unsigned i = 0; i < blob.block_count; ++i) {
            le64 address;
            std::memcpy(&address, item.value.data() + addresses + i * sizeof address,
                        sizeof address);
            add(MediaBlock{address}.block() * block_size, 64);
        }
    }
    void broken(const reader::NodePlace &, bool, const std::string &what) override {
        fail("survey: " + what);
    }

    void add(std::uint64_t offset, std::uint64_t length, unsigned device = 0) {
        image_.pieces.push_back({device, offset, length});
    }

  private:
    Image &image_;
};

void survey(Image &image) {
    Survey pieces(image);
    const auto devices = test::open_table(image.media);
    const auto labels = reader::read_labels(devices.at(0));
    const auto superblocks = reader::read_superblocks(devices.at(0), labels.best());
    if (superblocks.best() == nullptr)
        fail("survey: no superblock");
    image.superblock = *superblocks.best();
    const auto &superblock = image.superblock;
    for (unsigned device = 0; device < devices.count(); ++device) {
        const std::uint64_t last = image.media[device]->options().size - block_size;
        for (const std::uint64_t label : {std::uint64_t{0}, last}) {
            pieces.add(label, sizeof(format::DeviceLabel), device);
            if (device == 0)
                pieces.add(label + format::superblock_offset, 1024 + 64 * devices.count());
        }
    }
    for (const std::uint64_t cell : {superblock.tail_cell_a, superblock.tail_cell_b})
        pieces.add(cell * block_size, sizeof(format::TailCell));
    for (unsigned device = 0; device < devices.count(); ++device) {
        const std::uint64_t chunk = superblock.devices[device].bitmap_start;
        pieces.add(chunk * block_size, format::bitmap_header_bytes + bitmap_bytes_used);
        image.units.push_back(chunk);
    }
    const reader::View view(devices, superblock, true);
    if (!view.walk().damage.empty())
        fail("survey: " + view.walk().damage.front());
    for (const auto &record : view.walk().records) {
        const std::uint64_t offset =
            superblock.ring_start * block_size + record.sequence % view.ring().bytes();
        pieces.add(offset, record.length);
        image.records.push_back({offset, record.length, record.sequence});
    }
    reader::walk_tree(view, pieces);
}

// ---- mending ------------------------------------------------------------------------------------

template <typename T> T load(std::span<const std::byte> bytes, std::uint64_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

template <typename T> void store(std::span<std::byte> bytes, std::uint64_t offset, const T &value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
}

// For a structure whose checksum is counted as zero.
template <typename T> void mend_own(std::span<std::byte> bytes, std::uint64_t offset) {
    auto value = load<T>(bytes, offset);
    value.crc = 0;
    value.crc = crc32c(std::as_bytes(std::span(&value, 1)));
    store(bytes, offset, value);
}

void mend_cell(std::span<std::byte> bytes, std::uint64_t offset) {
    auto cell = load<format::TailCell>(bytes, offset);
    cell.crc = crc32c(std::as_bytes(std::span(&cell, 1)).first(offsetof(format::TailCell, crc)));
    store(bytes, offset, cell);
}

// Where the last entry of the records that covers a unit's checksum has it; 0: its home does.
std::uint64_t apply_records(const Image &image, std::span<std::byte> bytes, std::uint64_t unit,
                            std::span<std::byte> content) {
    std::uint64_t checksum_at = 0;
    for (const auto &record : image.records) {
        std::uint64_t at = record.offset + sizeof(format::RecordHeader);
        const std::uint64_t end = record.offset + record.length;
        while (at + sizeof(format::RecordEntry) <= end) {
            const auto entry = load<format::RecordEntry>(bytes, at);
            at += sizeof entry;
            const std::uint64_t padded = (std::uint64_t{entry.length} + 7) / 8 * 8;
            if (entry.length == 0 || entry.offset + entry.length > block_size || at + padded > end)
                break;
            if (entry.block == unit) {
                std::memcpy(content.data() + entry.offset, bytes.data() + at, entry.length);
                if (entry.offset == 0 && entry.length >= sizeof(le32))
                    checksum_at = at;
            }
            at += padded;
        }
    }
    return checksum_at;
}

void mend_unit(const Image &image, std::span<std::byte> bytes, std::uint64_t unit) {
    std::array<std::byte, block_size> content;
    std::memcpy(content.data(), bytes.data() + unit * block_size, block_size);
    const std::uint64_t checksum_at = apply_records(image, bytes, unit, content);
    const le32 crc = crc32c(std::span<const std::byte>(content).subspan(sizeof(le32)));
    store(bytes, checksum_at != 0 ? checksum_at : unit * block_size, crc);
}

HashKey ruling_epoch(const Image &image, std::span<const std::byte> bytes) {
    const auto a = load<format::TailCell>(bytes, image.superblock.tail_cell_a * block_size);
    const auto b = load<format::TailCell>(bytes, image.superblock.tail_cell_b * block_size);
    HashKey epoch;
    std::memcpy(epoch.data(), a.counter >= b.counter ? a.epoch : b.epoch, sizeof epoch);
    return epoch;
}

} // namespace

MediaList Image::clone() const {
    return copy_of(media);
}

std::uint64_t Image::piece_bytes() const {
    std::uint64_t sum = 0;
    for (const Piece &piece : pieces)
        sum += piece.length;
    return sum;
}

Piece Image::locate(std::uint64_t n) const {
    for (const Piece &piece : pieces) {
        if (n < piece.length)
            return {piece.device, piece.offset + n, piece.length - n};
        n -= piece.length;
    }
    fail("no such piece");
}

const std::vector<Image> &images() {
    static const std::vector<Image> all = [] {
        std::vector<Image> made;
        for (const Kind kind :
             {Kind::clean, Kind::dirty, Kind::wrapped, Kind::unfinished, Kind::two_devices}) {
            Image image;
            image.media = make_media_of(kind);
            survey(image);
            made.push_back(std::move(image));
        }
        return made;
    }();
    return all;
}

void seal_records(const Image &image, const MediaList &media) {
    const auto bytes = media[0]->bytes();
    const HashKey epoch = ruling_epoch(image, bytes);
    for (const auto &record : image.records) {
        const auto whole = bytes.subspan(record.offset, record.length);
        auto header = load<format::RecordHeader>(whole, 0);
        const std::uint64_t length =
            std::clamp<std::uint64_t>(header.length, sizeof header, bytes.size() - record.offset);
        header.payload_crc = crc32c(bytes.subspan(record.offset, length).subspan(sizeof header));
        header.checksum = keyed_hash(
            epoch,
            std::as_bytes(std::span(&header, 1)).first(offsetof(format::RecordHeader, checksum)));
        store(whole, 0, header);
    }
}

void mend(const Image &image, const MediaList &media) {
    for (const auto &one : media) {
        const auto bytes = one->bytes();
        for (const std::uint64_t label : {std::uint64_t{0}, bytes.size() - block_size}) {
            mend_own<format::DeviceLabel>(bytes, label);
            if (one == media[0])
                mend_own<format::Superblock>(bytes, label + format::superblock_offset);
        }
    }
    const auto bytes = media[0]->bytes();
    for (const std::uint64_t cell : {image.superblock.tail_cell_a, image.superblock.tail_cell_b})
        mend_cell(bytes, cell * block_size);
    for (const std::uint64_t unit : image.units)
        mend_unit(image, bytes, unit);
    seal_records(image, media);
}

} // namespace daxpin::fuzz
