// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/stderr_capture.h"

#include <cstdio>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace daxpin::fusefs {
namespace {

std::string last_line(std::string text) {
    while (text.ends_with('\n'))
        text.pop_back();
    if (const auto newline = text.rfind('\n'); newline != std::string::npos)
        text.erase(0, newline + 1);
    for (const std::string_view program : {"fusermount3: ", "fuse: "})
        if (text.starts_with(program))
            text.erase(0, program.size());
    return text.empty() ? "no reason given" : text;
}

} // namespace

StderrCapture::StderrCapture()
    : original_(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)),
      text_(::memfd_create("daxpinfs-stderr", MFD_CLOEXEC)) {
    std::fflush(stderr);
    if (original_ && text_)
        ::dup2(text_.get(), STDERR_FILENO);
}

void StderrCapture::restore() {
    if (!original_)
        return;
    std::fflush(stderr);
    ::dup2(original_.get(), STDERR_FILENO);
    original_.reset();
}

std::string StderrCapture::finish() {
    restore();
    std::string text(4096, '\0');
    const ssize_t length = text_ ? ::pread(text_.get(), text.data(), text.size(), 0) : 0;
    text.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
    return last_line(std::move(text));
}

} // namespace daxpin::fusefs
