// SPDX-License-Identifier: BSD-3-Clause
//
// Scratch: media that are brought into one crash state after another.
//
// Each state is the reference plus what write() and the engine change; restore() takes that back
// by copying the touched blocks only. The reference itself goes forward with advance(), and back
// to a mark, so that what several workloads have in common is gone through once.
#pragma once

#include "crash/session.h"

namespace daxpin::crash {

class Scratch : public test::EventSink {
  public:
    // Media of the same shapes whose reference content is `images`.
    Scratch(const std::vector<test::SimOptions> &options, const std::vector<Bytes> &images);
    ~Scratch() override;

    const MediaList &media() const { return media_; }
    std::span<const std::byte> reference(unsigned device) const { return images_[device]; }

    // Changes the reference, and the media with it.
    void advance(unsigned device, std::uint64_t offset, std::span<const std::byte> bytes);
    // Changes the media until restore().
    void write(unsigned device, std::uint64_t offset, std::span<const std::byte> bytes);
    void restore();
    // Changes the reference's media error, of which each device has one at most. Recoveries may
    // heal it until restore().
    void poison(unsigned device, test::SimMedia::Poison poison);

    // rollback() takes the reference back to what it was at the last mark(). REQUIRES: restored.
    void mark();
    void rollback();

    // The blocks that may differ from the reference.
    const std::vector<MediaBlock> &touched() const { return touched_; }
    // Blocks that advance() changed since the beginning.
    const std::set<std::uint64_t> &advanced() const { return advanced_; }

    void about_to_store(const test::SimMedia &media, std::uint64_t offset,
                        std::span<const std::byte> in, device::StoreKind kind) override;
    void flushed(const test::SimMedia &, std::uint64_t, std::uint64_t) override {}
    void drained(const test::SimMedia &) override {}

  private:
    void touch(unsigned device, std::uint64_t offset, std::uint64_t length);

    MediaList media_;
    std::vector<Bytes> images_;
    std::vector<test::SimMedia::Poison> poisons_;
    std::vector<std::vector<bool>> is_touched_;
    std::vector<MediaBlock> touched_;
    std::set<std::uint64_t> advanced_;
    bool marked_ = false;
    std::map<std::uint64_t, Bytes> undo_; // by MediaBlock value: content at the mark
    std::set<std::uint64_t> advanced_at_mark_;
    std::vector<test::SimMedia::Poison> poisons_at_mark_;
};

} // namespace daxpin::crash
