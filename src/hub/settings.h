// What the environment says of the Hugging Face hub, by the rules of huggingface_hub.
#pragma once

#include <string>

namespace aira {

struct HubSettings {
  std::string endpoint = "https://huggingface.co";  // without a slash at its end
  std::string token;                                // empty: none
  std::string token_place;                          // "HF_TOKEN" or a file, for messages
  std::string offline;       // the variable that forbids the network; empty: none does
  bool symlinks = true;      // snapshots link to blobs
  std::string certificates;  // a file of them to trust; empty: libcurl's
  long head_timeout = 10;    // seconds of silence, for what is small
  long timeout = 10;         // seconds of silence in a download
};

/// Throws Error naming the variable and what it must be.
HubSettings hub_settings();

}  // namespace aira
