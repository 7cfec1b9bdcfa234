#include "cli/app.h"

int main(int argc, char** argv) { return pawl::cli::Main(argc, argv); }
