// SPDX-License-Identifier: BSD-3-Clause
//
// What programs that measure mounted filesystems share: NAME=FOLDER words, a folder of one's own on
// each, and failures, which end the program.
#pragma once

#include <string>
#include <vector>

namespace daxpin::bench {

// With errno's text.
[[noreturn]] void die(const std::string &what);
int check(int result, const std::string &what); // dies if it is negative

struct NamedFolder {
    std::string name, path;
};
// Of NAME=FOLDER words; ends the program with 2 if one is none.
std::vector<NamedFolder> parse_folders(const std::vector<std::string> &words);

// Made in `parent`; removed with all that is in it.
class OwnFolder {
  public:
    explicit OwnFolder(const std::string &parent);
    ~OwnFolder();
    OwnFolder(const OwnFolder &) = delete;
    OwnFolder &operator=(const OwnFolder &) = delete;
    int fd() const { return fd_; }

  private:
    std::string path_;
    int fd_ = -1;
};

} // namespace daxpin::bench
