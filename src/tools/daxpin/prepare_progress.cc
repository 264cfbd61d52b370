// SPDX-License-Identifier: BSD-3-Clause
#include "tools/daxpin/prepare_progress.h"

#include "base/size_text.h"
#include "tools/daxpin/file.h"

#include <chrono>
#include <cstdio>

namespace daxpin::tool {

PrepareProgress::PrepareProgress(const std::string &path, bool enabled) {
    if (enabled)
        thread_ = std::thread([this, path] { run(path); });
}

PrepareProgress::~PrepareProgress() {
    if (!thread_.joinable())
        return;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stop_.notify_one();
    thread_.join();
}

void PrepareProgress::run(const std::string &path) {
    const auto fd = open_file(path, false);
    bool shown = false;
    std::unique_lock lock(mutex_);
    while (fd && !stop_.wait_for(lock, std::chrono::seconds(1), [this] { return stopping_; })) {
        const auto status = status_of(path, fd->get());
        if (!status || status->prepare_total == 0)
            continue;
        std::fprintf(stderr, "\r%s: %s of %s prepared ", path.c_str(),
                     size_text(status->prepare_done).c_str(),
                     size_text(status->prepare_total).c_str());
        shown = true;
    }
    if (shown)
        std::fprintf(stderr, "\n");
}

} // namespace daxpin::tool
