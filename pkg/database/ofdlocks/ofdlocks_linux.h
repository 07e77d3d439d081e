#include <stdbool.h>

// ofdlocks_install replaces SQLite's system calls. It is for once, before SQLite opens a file.
bool ofdlocks_install(void);

// ofdlocks_probe says whether a file, which is made if it is missing, can be locked in a way that the
// process's own locks respect: 0 or an errno. A file that can't be opened is none of its business.
int ofdlocks_probe(const char *path);
