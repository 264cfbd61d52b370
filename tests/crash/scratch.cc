// SPDX-License-Identifier: BSD-3-Clause
#include "crash/scratch.h"

#include <algorithm>
#include <cstring>

namespace daxpin::crash {

Scratch::Scratch(const std::vector<test::SimOptions> &options, const std::vector<Bytes> &images)
    : images_(images), poisons_(images.size()) {
    for (std::size_t i = 0; i < images.size(); ++i) {
        media_.push_back(test::SimMedia::create(options[i]));
        std::copy(images[i].begin(), images[i].end(), media_[i]->bytes().begin());
        media_[i]->set_sink(this);
        media_[i]->heal_on_rewrite(true);
        is_touched_.emplace_back(images[i].size() / block_size);
    }
}

Scratch::~Scratch() {
    for (const auto &one : media_)
        one->set_sink(nullptr);
}

void Scratch::touch(unsigned device, std::uint64_t offset, std::uint64_t length) {
    for (std::uint64_t block = offset / block_size; block * block_size < offset + length; ++block) {
        if (is_touched_[device][block])
            continue;
        is_touched_[device][block] = true;
        touched_.push_back(MediaBlock::at(device, block));
    }
}

void Scratch::about_to_store(const test::SimMedia &media, std::uint64_t offset,
                             std::span<const std::byte> in, device::StoreKind) {
    unsigned device = 0;
    while (media_[device].get() != &media)
        ++device;
    touch(device, offset, in.size());
}

void Scratch::advance(unsigned device, std::uint64_t offset, std::span<const std::byte> bytes) {
    const std::uint64_t last = (offset + bytes.size() - 1) / block_size;
    for (std::uint64_t block = offset / block_size; block <= last; ++block) {
        const MediaBlock at = MediaBlock::at(device, block);
        advanced_.insert(at.value);
        if (!marked_ || undo_.contains(at.value))
            continue;
        const auto old = reference(device).subspan(block * block_size, block_size);
        undo_.emplace(at.value, Bytes(old.begin(), old.end()));
    }
    std::memcpy(images_[device].data() + offset, bytes.data(), bytes.size());
    std::memcpy(media_[device]->bytes().data() + offset, bytes.data(), bytes.size());
}

void Scratch::mark() {
    marked_ = true;
    undo_.clear();
    advanced_at_mark_ = advanced_;
    poisons_at_mark_ = poisons_;
}

void Scratch::rollback() {
    for (const auto &[value, old] : undo_) {
        const MediaBlock block{value};
        const std::uint64_t offset = block.block() * block_size;
        std::memcpy(images_[block.device()].data() + offset, old.data(), old.size());
        std::memcpy(media_[block.device()]->bytes().data() + offset, old.data(), old.size());
    }
    undo_.clear();
    advanced_ = advanced_at_mark_;
    for (unsigned device = 0; device < media_.size(); ++device)
        poison(device, poisons_at_mark_[device]);
}

void Scratch::write(unsigned device, std::uint64_t offset, std::span<const std::byte> bytes) {
    touch(device, offset, bytes.size());
    std::memcpy(media_[device]->bytes().data() + offset, bytes.data(), bytes.size());
}

void Scratch::restore() {
    for (const MediaBlock block : touched_) {
        const std::uint64_t offset = block.block() * block_size;
        std::memcpy(media_[block.device()]->bytes().data() + offset,
                    images_[block.device()].data() + offset, block_size);
        is_touched_[block.device()][block.block()] = false;
    }
    touched_.clear();
    for (unsigned device = 0; device < media_.size(); ++device) {
        if (media_[device]->poison() != poisons_[device])
            poison(device, poisons_[device]);
    }
}

void Scratch::poison(unsigned device, test::SimMedia::Poison poison) {
    poisons_[device] = poison;
    media_[device]->poison(poison.offset, poison.length);
}

} // namespace daxpin::crash
