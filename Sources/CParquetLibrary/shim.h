/* C++ headers: only CArrow includes them; this module carries pkg-config's flags. */
