// SPDX-License-Identifier: BSD-3-Clause
//
// PrepareProgress: a line on the terminal while a PREPARE runs, from STATUS on a descriptor of
// its own. Silent if it takes less than a second.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace daxpin::tool {

class PrepareProgress {
  public:
    PrepareProgress(const std::string &path, bool enabled);
    ~PrepareProgress();
    PrepareProgress(const PrepareProgress &) = delete;
    PrepareProgress &operator=(const PrepareProgress &) = delete;

  private:
    void run(const std::string &path);

    std::mutex mutex_;
    std::condition_variable stop_;
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace daxpin::tool
