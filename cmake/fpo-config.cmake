# find_package(fpo) gives the imported target fpo::fpo.
if(NOT TARGET fpo::fpo)
  get_filename_component(_fpo_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
  add_library(fpo::fpo SHARED IMPORTED)
  set_target_properties(fpo::fpo PROPERTIES
    IMPORTED_LOCATION "${_fpo_prefix}/lib/libfpo.so"
    INTERFACE_INCLUDE_DIRECTORIES "${_fpo_prefix}/include")
  unset(_fpo_prefix)
endif()
