-- bipolar_types: the types of the ports of bipolar, and functions between a port and its elements.
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

package bipolar_types is

  constant LATENCY_CYCLES : natural := 4;
  constant INTERVAL_CYCLES : positive := 1;

  -- in_x: 8 elements of 2 bits, signed, element 0 in the low bits.
  subtype in_x_t is std_logic_vector(15 downto 0);
  subtype in_x_element_t is signed(1 downto 0);
  type in_x_elements_t is array (0 to 7) of in_x_element_t;
  function pack(x : in_x_elements_t) return in_x_t;
  function unpack(x : in_x_t) return in_x_elements_t;

  -- out_matmul_6: 5 elements of 6 bits, signed, element 0 in the low bits.
  subtype out_matmul_6_t is std_logic_vector(29 downto 0);
  subtype out_matmul_6_element_t is signed(5 downto 0);
  type out_matmul_6_elements_t is array (0 to 4) of out_matmul_6_element_t;
  function pack(x : out_matmul_6_elements_t) return out_matmul_6_t;
  function unpack(x : out_matmul_6_t) return out_matmul_6_elements_t;

  -- out_argmax_7: 1 elements of 3 bits, unsigned, element 0 in the low bits.
  subtype out_argmax_7_t is std_logic_vector(2 downto 0);
  subtype out_argmax_7_element_t is unsigned(2 downto 0);
  type out_argmax_7_elements_t is array (0 to 0) of out_argmax_7_element_t;
  function pack(x : out_argmax_7_elements_t) return out_argmax_7_t;
  function unpack(x : out_argmax_7_t) return out_argmax_7_elements_t;

  -- out_topk_8_1: 2 elements of 3 bits, unsigned, element 0 in the low bits.
  subtype out_topk_8_1_t is std_logic_vector(5 downto 0);
  subtype out_topk_8_1_element_t is unsigned(2 downto 0);
  type out_topk_8_1_elements_t is array (0 to 1) of out_topk_8_1_element_t;
  function pack(x : out_topk_8_1_elements_t) return out_topk_8_1_t;
  function unpack(x : out_topk_8_1_t) return out_topk_8_1_elements_t;

end package bipolar_types;

package body bipolar_types is

  function pack(x : in_x_elements_t) return in_x_t is
    variable y : in_x_t;
  begin
    for i in x'range loop
      y(2 * i + 1 downto 2 * i) := std_logic_vector(x(i));
    end loop;
    return y;
  end function;

  function unpack(x : in_x_t) return in_x_elements_t is
    variable y : in_x_elements_t;
  begin
    for i in y'range loop
      y(i) := signed(x(2 * i + 1 downto 2 * i));
    end loop;
    return y;
  end function;

  function pack(x : out_matmul_6_elements_t) return out_matmul_6_t is
    variable y : out_matmul_6_t;
  begin
    for i in x'range loop
      y(6 * i + 5 downto 6 * i) := std_logic_vector(x(i));
    end loop;
    return y;
  end function;

  function unpack(x : out_matmul_6_t) return out_matmul_6_elements_t is
    variable y : out_matmul_6_elements_t;
  begin
    for i in y'range loop
      y(i) := signed(x(6 * i + 5 downto 6 * i));
    end loop;
    return y;
  end function;

  function pack(x : out_argmax_7_elements_t) return out_argmax_7_t is
    variable y : out_argmax_7_t;
  begin
    for i in x'range loop
      y(3 * i + 2 downto 3 * i) := std_logic_vector(x(i));
    end loop;
    return y;
  end function;

  function unpack(x : out_argmax_7_t) return out_argmax_7_elements_t is
    variable y : out_argmax_7_elements_t;
  begin
    for i in y'range loop
      y(i) := unsigned(x(3 * i + 2 downto 3 * i));
    end loop;
    return y;
  end function;

  function pack(x : out_topk_8_1_elements_t) return out_topk_8_1_t is
    variable y : out_topk_8_1_t;
  begin
    for i in x'range loop
      y(3 * i + 2 downto 3 * i) := std_logic_vector(x(i));
    end loop;
    return y;
  end function;

  function unpack(x : out_topk_8_1_t) return out_topk_8_1_elements_t is
    variable y : out_topk_8_1_elements_t;
  begin
    for i in y'range loop
      y(i) := unsigned(x(3 * i + 2 downto 3 * i));
    end loop;
    return y;
  end function;

end package body bipolar_types;
